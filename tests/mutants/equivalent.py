# SPDX-License-Identifier: Apache-2.0
"""Mutants that no test could tell from the original, each with the reason."""

from __future__ import annotations

#: Instead of a module.
EVERYWHERE = ""
#: (module, end of the operator's name, text of the changed line, why it is the same program)
EQUIVALENT: tuple[tuple[str, str, str, str], ...] = (
    (
        EVERYWHERE,
        "ReplaceTrueWithFalse",
        "@dataclass(",
        "frozen and slots keep us from mistakes and change no result: nothing sets a field.",
    ),
    (
        "postroom.mail.credentials",
        "ReplaceTrueWithFalse",
        "zip((USERNAME, PASSWORD), keys, strict=True)",
        "keys is a pair, too: its type says so.",
    ),
    (
        "postroom.mail.credentials",
        "Eq_GtE",
        "part == USERNAME",
        "of the two parts only the username is not before itself.",
    ),
    (
        "postroom.mail.credentials",
        "Eq_Is",
        "part == USERNAME",
        "part is one of two constants.",
    ),
    (
        "postroom.mail.credentials",
        "NotEq_Lt",
        "text != value.reveal()",
        "text is the value, or the value without its end, which sorts before it.",
    ),
    (
        "postroom.mail.credentials",
        "NotEq_IsNot",
        "text != value.reveal()",
        "a substitution that finds nothing returns the very text.",
    ),
    (
        EVERYWHERE,
        "Mul_Div",
        "+    /,",
        "a star that makes arguments keywords is no arithmetic.",
    ),
    (
        EVERYWHERE,
        "Mul_Div",
        ", /, ",
        "a star that makes arguments keywords is no arithmetic.",
    ),
    (
        "postroom.reconcile.status.schedule",
        "NumberReplacer",
        "(0, 5),",
        "any other age gets the first wait, too.",
    ),
    (
        "postroom.reconcile.status.schedule",
        "NumberReplacer",
        "FAR_AWAY = ",
        "it only has to be longer than any interval.",
    ),
    (
        "postroom.reconcile.status.schedule",
        "Eq_LtE",
        "deadline == timedelta()",
        "no duration of a spec is negative.",
    ),
    (
        "postroom.reconcile.status.schedule",
        "ReplaceFalseWithTrue",
        'getattr(spec, "suspend", False)',
        "every spec has one of the two.",
    ),
    (
        "postroom.dns.verifying.quorum",
        "Eq_GtE",
        "len(lacking) == len(counting)",
        "who lacks it is among those that count.",
    ),
    (
        "postroom.dns.verifying.quorum",
        "Eq_Is",
        "len(lacking) == len(counting)",
        "CPython has one object for each number below 257, and no zone that many servers.",
    ),
    (
        "postroom.dns.verifying.quorum",
        "Eq_LtE",
        "len(lacking) == 1",
        "somebody lacks it: that there is nobody has been asked above.",
    ),
    (
        "postroom.mail.connect.guard",
        "ReplaceTrueWithFalse",
        "ConfigDict(",
        "nothing sets a field, and of YAML only a text is a str, strict or not.",
    ),
    (
        "postroom.mail.connect.guard",
        "NumberReplacer",
        "lru_cache(maxsize=",
        "how much is remembered changes no result.",
    ),
    (
        "postroom.mail.connect.guard",
        "Lt_NotEq",
        "if length < 96",
        "no length is above 96.",
    ),
    (
        "postroom.mail.connect.guard",
        "Eq_GtE",
        "prefix_length == 96",
        "no length is above 96.",
    ),
    (
        "postroom.mail.connect.guard",
        "Eq_LtE",
        "address.version == network.version",
        "no network contains an address of the other version.",
    ),
    (
        "postroom.mail.connect.guard",
        "Eq_GtE",
        "address.version == network.version",
        "no network contains an address of the other version.",
    ),
    (
        "postroom.mail.connect.guard",
        "Eq_Is",
        "address.version == network.version",
        "CPython has one object for each number below 257.",
    ),
    (
        "postroom.mail.connect.guard",
        "NumberReplacer",
        "if length < 95",
        "no length is 95.",
    ),
    (
        "postroom.mail.connect.guard",
        "NumberReplacer",
        "(1 << 56) - 2",
        "the lowest bit is of the suffix, and shifted out.",
    ),
    (
        "postroom.controller.queue",
        "NumberReplacer",
        "CHANGE = 0",
        "of an urgency only the order counts.",
    ),
    (
        "postroom.controller.queue",
        "NumberReplacer",
        "ROUTINE = 2",
        "of an urgency only the order counts.",
    ),
    (
        "postroom.controller.queue",
        "Gt_NotEq",
        "sparing=urgency > Urgency.CHANGE",
        "nothing is more urgent than a change.",
    ),
    (
        "postroom.controller.queue",
        "Gt_IsNot",
        "sparing=urgency > Urgency.CHANGE",
        "nothing is more urgent than a change.",
    ),
    (
        "postroom.controller.queue",
        "Eq_Is",
        "self._due.get(entry[2]) == entry[0]",
        "the schedule holds the very number of the heap; of two equal ones one is enough.",
    ),
    (
        "postroom.controller.queue",
        "Eq_Is",
        "self._due.get(key) == moment",
        "the schedule holds the very number of the heap; of two equal ones one is enough.",
    ),
    (
        "postroom.controller.queue",
        "NotEq_IsNot",
        "!= self._heap[0][0]",
        "the schedule holds the very number of the heap; of two equal ones one is enough.",
    ),
    (
        "postroom.controller.queue",
        "NumberReplacer",
        "self._serial = ",
        "of serial numbers only the order counts.",
    ),
    (
        "postroom.controller.queue",
        "NumberReplacer",
        "self._serial += 2",
        "of serial numbers only the order counts.",
    ),
    (
        "postroom.controller.queue",
        "NumberReplacer",
        "moment + 2)",
        "any moment after this one stands for none.",
    ),
    (
        "postroom.controller.queue",
        "NumberReplacer",
        "max( -1.0, ",
        "a loop calls at once what is overdue.",
    ),
    (
        "postroom.reconcile.domain.verification",
        "Eq_LtE",
        "bounds.grace_period == timedelta()",
        "no duration of a spec is negative.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "Eq_LtE",
        "address.version == 4",
        "a version is 4 or 6.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "Eq_LtE",
        "ip.version == 4",
        "a version is 4 or 6.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "Eq_GtE",
        'term.name == "ptr"',
        "of the mechanisms that are left none sorts behind it.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "Eq_Is",
        "self._variables.ip == address",
        "equal addresses have the same first bits, which is asked next.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "Gt_NotEq",
        "len(texts) > 1",
        "that there is none has been asked above.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "Lt_NotEq",
        "0 < len(label)",
        "no length is negative.",
    ),
    (
        "postroom.dns.spf.evaluate",
        "NumberReplacer",
        "texts[ -1]",
        "there is only one.",
    ),
)
