# SPDX-License-Identifier: Apache-2.0
"""Which Secret holds a username and a password, and under which keys of its data."""

import re
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from postroom.api.fields import DataKey, ObjectReference, rule, rules

USERNAME, PASSWORD = "username", "password"

#: Values that are nobody's credential, as a whole.
PLACEHOLDERS = re.compile(
    r"""
      \$\{.*\} | \$\(.*\) | \{\{.*\}\} | <%.*%> | %\{.*\}      # variables of renderers
    | <[^<>]*>                                                # <your password>, <path:...>
    | ENC\[.*\] | vault:.* | ref\+[a-z0-9]+:.* | op://.* | avp\..* | arn:aws:secretsmanager:.*
    | (?:change|replace|fill|insert|enter|set)[ _-]?
      (?:me|this|it|in)(?:[ _-]?in)?(?:[ _-]?(?:please|now|later))?!*
    | replace[ _-]with[ _-].* | (?:todo|tbd|fixme)(?:[ :_-].*)?
    | your[ _-](?:[a-z]+[ _-])*
      (?:password|passwd|user(?:name)?|login|secret|token|key)(?:[ _-]here)?
    | x{3,} | \*{3,} | \.{3,} | \[?redacted\]? | \[?placeholder\]?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


class CredentialsReference(ObjectReference):
    """Names a Secret with a username and a password in the same namespace.

    The keys may be those that another reader of the Secret wants, so that the Secret that an
    application reads is the one that is proven.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.usernameKey) ? self.usernameKey : 'username') != "
                "(has(self.passwordKey) ? self.passwordKey : 'password')",
                "must be another key than that of the username",
                field_path=".passwordKey",
            ),
        )
    )

    username_key: DataKey | None = Field(
        default=None, description="Key of the username; default: username."
    )
    password_key: DataKey | None = Field(
        default=None, description="Key of the password; default: password."
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        username, password = self.keys
        if username == password:
            raise ValueError("passwordKey must be another key than that of the username")
        return self

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of username and password."""
        return self.username_key or USERNAME, self.password_key or PASSWORD
