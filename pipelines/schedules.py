"""When runs start by the clock, in the project's time zone: the morning at six, and the comparison with the sources at four."""

import dagster as dg

from pipelines.jobs import MORNING_REFRESH, RECONCILE

MORNING_CRON = "0 6 * * *"
RECONCILE_CRON = "0 4 * * *"  # so that what it heals is in the morning's models


def make_schedules(time_zone: str) -> list[dg.ScheduleDefinition]:
    """Return the schedules. Written by hand: the one that Dagster builds for a partitioned job fires at midnight."""
    return [
        dg.ScheduleDefinition(
            name="every_morning",
            job_name=MORNING_REFRESH,
            cron_schedule=MORNING_CRON,
            execution_timezone=time_zone,
            description="06:00 in the project's time zone. Without a partition, so that the engine loads every day that is missing.",
        ),
        dg.ScheduleDefinition(
            name="every_night",
            job_name=RECONCILE,
            cron_schedule=RECONCILE_CRON,
            execution_timezone=time_zone,
            description="04:00 in the project's time zone: compare every raw table with its source, and heal what differs.",
        ),
    ]
