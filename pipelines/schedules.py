"""When runs start by the clock: the morning at six, in the project's time zone."""

import dagster as dg

from pipelines.jobs import MORNING_REFRESH

MORNING_CRON = "0 6 * * *"


def make_schedules(time_zone: str) -> list[dg.ScheduleDefinition]:
    """Return the schedules. Written by hand: the one that Dagster builds for a partitioned job fires at midnight."""
    return [
        dg.ScheduleDefinition(
            name="every_morning",
            job_name=MORNING_REFRESH,
            cron_schedule=MORNING_CRON,
            execution_timezone=time_zone,
            description="06:00 in the project's time zone. Without a partition, so that the engine loads every day that is missing.",
        )
    ]
