"""A list of bills like the system's own: the same columns, 50 rows, the same filters and search."""

from django.contrib import admin

from bench.peers.django_admin.models import Bill


@admin.register(Bill)
class BillAdmin(admin.ModelAdmin):
    list_display = ("number", "customer", "status", "period_start", "period_end", "sums", "created_at")
    list_select_related = ("customer",)
    list_filter = ("status",)
    list_per_page = 50
    search_fields = ("customer__name", "customer__external_id")

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("subtotals")

    def sums(self, bill):
        return ", ".join(f"{one.subtotal.normalize():f} {one.currency}" for one in bill.subtotals.all())
