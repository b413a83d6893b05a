"""Websites: the domains that are served, and by which group of lines."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.resources.declaration import Line, Reference, managed
from shared.validation import form

# letters, digits and hyphens in labels of up to 63, in lower case (RFC 1035, 2.3.4); a first label may be a wildcard
_DOMAIN = r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
Domain = Annotated[
    str,
    form(
        f"^({_DOMAIN})?$(?!\\n)",
        "a domain in lower case, such as shop.example.org or *.example.org",
        max_length=253,
        description="A domain in lower case, such as shop.example.org or *.example.org",
    ),
]
Domains = Annotated[tuple[Annotated[Domain, Meta(min_length=1)], ...], Meta(max_length=100)]


class Website(msgspec.Struct, frozen=True, kw_only=True):
    """A site, known by its primary domain; `cname` is where its domains point to."""

    primary_domain: Annotated[Domain, Meta(min_length=1)]
    domains: Domains = ()
    cname: Domain = ""
    line_group_id: Reference = ""
    line_group: Line = ""
    https_enabled: bool = True
    status: Annotated[
        str,
        form(
            r"^[a-z][a-z_]*$(?!\n)",
            "a word in lower case, such as active",
            max_length=32,
            description="A word in lower case, such as active",
        ),
    ] = "active"


WEBSITES = managed(
    "websites",
    Website,
    singular="website",
    prefix="ws",
    unique=("primary_domain",),
    sortable=("primary_domain", "status"),
    filters=(("status", "status"), ("line_group_id", "line_group_id"), ("domain", "domains")),
    searched=("primary_domain", "cname", "line_group"),
)
