"""The schema in the repository is the one that is served."""

from pathlib import Path

from deepnode_graphql.schema import schema_text
from tests.graphql.conftest import Api

GOLDEN = Path(__file__).resolve().parents[2] / "graphql" / "schema.graphql"


def test_the_golden_schema_is_the_printed_one() -> None:
    """Prints the schema; renew the file by `python -m deepnode_graphql.schema > graphql/schema.graphql`."""
    assert GOLDEN.read_text("utf-8") == schema_text()


def test_the_schema_is_served_as_text(api: Api) -> None:
    """Fetches /schema.graphql and compares it with the file."""
    assert api.http.get("/schema.graphql").text == GOLDEN.read_text("utf-8")


def test_every_type_field_and_argument_of_the_schema_is_described(api: Api) -> None:
    """Asks the introspection for descriptions; only arguments whose name says all may go without."""
    data = api.ask(
        "{ __schema { types { name description fields { name description } inputFields { name description } "
        "enumValues { name description } } } }"
    )
    silent = []
    for each in data["__schema"]["types"]:
        if each["name"].startswith("__"):
            continue
        parts = [each, *(each["fields"] or []), *(each["inputFields"] or []), *(each["enumValues"] or [])]
        silent += [f"{each['name']} {part['name']}" for part in parts if not part["description"]]
    assert silent == []
