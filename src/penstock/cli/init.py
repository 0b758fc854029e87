"""`penstock init`: a small connector that works as it stands, to be turned into a real one."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from penstock.cli import output
from penstock.errors import UsageError

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

CONNECTOR = Template('''\
"""$title: a penstock connector.

It works as it stands against the simulator (python -m penstock.simulator). Put the address,
the fields and the streams of your provider in their place.
"""

from penstock import Bearer, Connector, Cursor, Permissions, Since, Stream

$name = Connector(
    key="$name",
    name="$title",
    provider="$name",
    version="0.1.0",
    base_url="{settings.base_url}",
    settings={
        "type": "object",
        "required": ["base_url", "api_key"],
        "properties": {
            "base_url": {"type": "string", "format": "uri"},
            "api_key": {"type": "string", "x-secret": True},
        },
    },
    auth=Bearer(secret="api_key"),
    # Every host it may talk to, and every document type it may write.
    permissions=Permissions(http=["http://127.0.0.1/*"], documents={"customer": ["write"]}),
    streams=[Stream("customers", mode="poll", schedule="*/15 * * * *")],
)


@$name.collection(
    "customers",
    path="/customers",
    params={"limit": 200},
    records="data",
    id="id",
    pages=Cursor("next_cursor", param="cursor"),
    since=Since(param="updated_since", field="updated_at"),
    document="customer",
)
def customer(record):
    """One record of the provider becomes one customer; None would leave it out."""
    return {
        "customer_id": record["id"],
        "name": record["display_name"],
        "email": record.get("email"),
        "source_updated_at": record["updated_at"],
    }
''')

NEXT = Template("""\
wrote $file. Next:
  penstock check $file
  python -m penstock.simulator             (in another terminal; prints its URL and token)
  penstock connect $file --name $name --set base_url=URL --secret api_key=TOKEN
  penstock run $name
  penstock documents list customer""")


def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Lower case; the file becomes NAME.py.")
    ],
) -> None:
    """Write NAME.py, a small working connector."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is no name for a connector: lower case letters, digits and '_', "
            "beginning with a letter"
        )
    file = Path(f"{name}.py")
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(CONNECTOR.substitute(name=name, title=name.replace("_", " ").title()))
    except FileExistsError as error:
        raise UsageError(f"{file} is there already; nothing was written") from error
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    output.say(NEXT.substitute(file=file, name=name))
