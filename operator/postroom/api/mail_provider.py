# SPDX-License-Identifier: Apache-2.0
"""``spec.provider`` of mail servers and accounts: whose endpoints and rules are meant."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from postroom.api.fields import Text, rule, rules


class MailProvider(StrEnum):
    """Mail providers that postroom knows; a test holds them against the presets."""

    AOL = "AOL"
    ALIYUN = "Aliyun"
    AMAZON_SES = "AmazonSES"
    BREVO = "Brevo"
    FASTMAIL = "Fastmail"
    FORWARD_EMAIL = "ForwardEmail"
    GMX = "GMX"
    GANDI = "Gandi"
    GMAIL = "Gmail"
    GO_DADDY = "GoDaddy"
    GOOGLE_WORKSPACE = "GoogleWorkspace"
    HETZNER = "Hetzner"
    ICLOUD = "ICloud"
    IONOS = "IONOS"
    INFOMANIAK = "Infomaniak"
    MAIL_COM = "MailCom"
    MAIL_RU = "MailRu"
    MAILBOX_ORG = "MailboxOrg"
    MAILER_SEND = "MailerSend"
    MAILGUN = "Mailgun"
    MAILJET = "Mailjet"
    MAILTRAP = "Mailtrap"
    MANDRILL = "Mandrill"
    MICROSOFT_365 = "Microsoft365"
    MIGADU = "Migadu"
    NAVER = "Naver"
    NET_EASE = "NetEase"
    OVH = "OVH"
    ONE_COM = "OneCom"
    OUTLOOK_COM = "OutlookCom"
    POSTEO = "Posteo"
    POSTMARK = "Postmark"
    PROTON = "Proton"
    PROTON_BRIDGE = "ProtonBridge"
    QQ = "QQ"
    RACKSPACE = "Rackspace"
    RESEND = "Resend"
    SMTP2GO = "SMTP2GO"
    SEND_GRID = "SendGrid"
    SPARK_POST = "SparkPost"
    STRATO = "Strato"
    T_ONLINE = "TOnline"
    TENCENT_EXMAIL = "TencentExmail"
    WEB_DE = "WebDe"
    YAHOO = "Yahoo"
    YANDEX = "Yandex"
    ZOHO = "Zoho"


_NAME = r"^[a-z][A-Za-z0-9]{0,31}$"
_NAME_SENTENCE = "must have names such as region: letters and digits, the first one lowercase"
_Name = Annotated[str, Text(_NAME, _NAME_SENTENCE, longest=32)]
_Value = Annotated[
    str,
    Text(r"^[!-~]([ -~]*[!-~])?$", "must be printable ASCII without spaces around it", longest=253),
]

#: What a provider offers as a choice, by the names that docs/mail-providers.md lists.
MailParameters = Annotated[
    dict[_Name, _Value],
    Field(
        max_length=8,
        json_schema_extra=rules(rule(f'self.all(name, name.matches(r"{_NAME}"))', _NAME_SENTENCE)),
    ),
]
