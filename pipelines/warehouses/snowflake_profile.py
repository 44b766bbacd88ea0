"""How dbt signs in to Snowflake: the variables that dbt_project/profiles.yml reads, from the warehouse's URL.

They are given to dbt's process and written nowhere. What is secret is called DBT_ENV_SECRET_…: dbt takes such values out of its
logs and keeps none in its cache.
"""

from pathlib import Path
from typing import Any

from pipelines.errors import ConfigError
from pipelines.warehouses.snowflake_account import read_url

# dbt passes on what it knows, and drops the rest in silence: then it would sign in otherwise than the engine does, or not at all.
AUTHENTICATORS = {
    *("snowflake", "snowflake_jwt", "externalbrowser", "username_password_mfa", "oauth", "programmatic_access_token", "workload_identity")
}
_PLAIN = {
    "account": "ACCOUNT",
    "user": "USER",
    "database": "DATABASE",
    "warehouse": "WAREHOUSE",
    "role": "ROLE",
    "host": "HOST",
    "port": "PORT",
    "protocol": "PROTOCOL",
    "private_key_file": "PRIVATE_KEY_PATH",
    "authenticator": "AUTHENTICATOR",
    "workload_identity_provider": "WORKLOAD_IDENTITY_PROVIDER",
}
_SECRET = {"password": "PASSWORD", "private_key_file_pwd": "PRIVATE_KEY_PASSPHRASE", "token": "TOKEN"}


def profile_variables(url: str) -> dict[str, str]:
    """Return dbt's variables for a URL. Raises ``ConfigError`` for a way to sign in that dbt does not have."""
    options = {**read_url(url).options}
    authenticator = str(options.get("authenticator") or "snowflake").lower()
    if authenticator not in AUTHENTICATORS and not authenticator.startswith("https://"):  # a company's own
        raise ConfigError(
            [f"DAYBREAK_WAREHOUSE_URL: dbt cannot sign in with authenticator={authenticator}"],
            safe="Nothing was read or written.",
            remedy=f"Use one of {', '.join(sorted(AUTHENTICATORS))}; for a service user, a private_key_file.",
        )
    if "authenticator" in options:
        options["authenticator"] = authenticator  # dbt knows them in small letters only
    if "token_file_path" in options:
        options["token"] = _read_token(Path(options["token_file_path"]))
    return {
        "DAYBREAK_DBT_TARGET": "snowflake",
        # Else each of dbt's threads asks the metadata services of three clouds who it is.
        "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true",
        **_name("DAYBREAK_SNOWFLAKE_", _PLAIN, options),
        **_name("DBT_ENV_SECRET_SNOWFLAKE_", _SECRET, options),
    }


def _name(prefix: str, names: dict[str, str], options: dict[str, Any]) -> dict[str, str]:
    """Return all of the variables: one that is not given is empty, so that none is taken from somebody's environment."""
    empty = {"port": "443", "protocol": "https"}
    return {f"{prefix}{name}": str(options.get(option) or empty.get(option, "")) for option, name in names.items()}


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            [f"DAYBREAK_WAREHOUSE_URL: token_file_path={file} cannot be read: {error.strerror}"],
            safe="Nothing was read or written.",
            remedy="Put the token there, readable by Daybreak's user alone.",
        ) from error
