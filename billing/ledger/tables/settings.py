"""What administrators set: the currencies that are offered, the logos that the seller has had."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.ledger.base import NOW, Base, Instant


class SettingsRow(Base):
    """One row. Without `offered_currencies` all that the configuration allows are offered."""

    __tablename__ = "settings"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("cardinality(offered_currencies) > 0", name="one_currency_offered"),
    )

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    offered_currencies: Mapped[list[str] | None] = mapped_column(ARRAY(String(3)))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class LogoRow(Base):
    """A picture under the SHA-256 of its content. Closed bills name theirs, so none is changed or taken away."""

    __tablename__ = "logos"
    __table_args__ = (
        CheckConstraint("hash = encode(sha256(content), 'hex')", name="hash_of_content"),
        CheckConstraint("kind IN ('image/png', 'image/jpeg')", name="kind_known"),
        CheckConstraint("octet_length(content) BETWEEN 1 AND 262144", name="content_bounded"),
    )

    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int] = mapped_column(SmallInteger)
    height: Mapped[int] = mapped_column(SmallInteger)
    stored_at: Mapped[datetime] = mapped_column(Instant, server_default=NOW)
