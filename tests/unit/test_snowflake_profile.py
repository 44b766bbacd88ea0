"""dbt's variables for a Snowflake URL: as the engine signs in, and every secret where dbt takes it out of its logs."""

from pathlib import Path

import pytest
import yaml

from pipelines.errors import ConfigError
from pipelines.warehouses.snowflake_profile import profile_variables

PROFILES = Path(__file__).parents[2] / "dbt_project" / "profiles.yml"
URL = "snowflake://me:pass%2Fword@org-account/ANALYTICS?warehouse=WH&role=LOADER"


def test_every_variable_of_the_profile_is_given_and_secrets_have_the_name_that_dbt_hides() -> None:
    given = profile_variables(f"{URL}&private_key_file=/key.p8&private_key_file_pwd=phrase&host=127.0.0.1&port=8080&protocol=http")
    profile = yaml.safe_load(PROFILES.read_text())["daybreak"]
    asked = {part.split("'")[1] for text in profile["outputs"]["snowflake"].values() if (part := str(text)).count("env_var")}
    assert asked == given.keys() - {"DAYBREAK_DBT_TARGET", "SNOWFLAKE_DISABLE_PLATFORM_DETECTION"}
    secrets = {name for name, value in given.items() if value in ("pass/word", "phrase")}
    assert secrets == {"DBT_ENV_SECRET_SNOWFLAKE_PASSWORD", "DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"}
    plain = {name.removeprefix("DAYBREAK_SNOWFLAKE_"): value for name, value in given.items() if name.startswith("DAYBREAK_SNOWFLAKE_")}
    assert plain == {
        "ACCOUNT": "org-account",
        "USER": "me",
        "DATABASE": "ANALYTICS",
        "WAREHOUSE": "WH",
        "ROLE": "LOADER",
        "HOST": "127.0.0.1",
        "PORT": "8080",
        "PROTOCOL": "http",
        "PRIVATE_KEY_PATH": "/key.p8",
        "AUTHENTICATOR": "",
        "WORKLOAD_IDENTITY_PROVIDER": "",
    }


def test_a_token_is_read_from_its_file_and_the_authenticator_is_spelled_as_dbt_knows_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    given = profile_variables(f"{URL}&authenticator=PROGRAMMATIC_ACCESS_TOKEN&token_file_path={tmp_path / 'token'}")
    assert given["DAYBREAK_SNOWFLAKE_AUTHENTICATOR"] == "programmatic_access_token"
    assert given["DBT_ENV_SECRET_SNOWFLAKE_TOKEN"] == "t0ken"
    with pytest.raises(ConfigError, match="cannot be read"):
        profile_variables(f"{URL}&token_file_path={tmp_path / 'none'}")


def test_a_way_to_sign_in_that_dbt_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="dbt cannot sign in with authenticator=oauth_client_credentials"):
        profile_variables(f"{URL}&authenticator=OAUTH_CLIENT_CREDENTIALS&oauth_client_id=x&oauth_client_secret=y")
