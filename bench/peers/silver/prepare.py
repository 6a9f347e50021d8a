"""Tables, one provider and one customer, as the peer's documentation wants them before the first invoice."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from silver.models import Customer, Provider  # noqa: E402

call_command("migrate", verbosity=0)
ADDRESS = {"address_1": "1 Main Street", "country": "US", "city": "Springfield"}
Provider.objects.create(
    name="Seller", flow=Provider.FLOWS.INVOICE, invoice_series="S", invoice_starting_number=1,
    default_document_state=Provider.DEFAULT_DOC_STATE.DRAFT, **ADDRESS,
)  # fmt: skip
Customer.objects.create(first_name="A", last_name="Customer", currency="USD", sales_tax_number="", **ADDRESS)
