"""The system's tables, unmanaged."""

from django.db import models


class Customer(models.Model):
    id = models.UUIDField(primary_key=True)
    external_id = models.TextField()
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "customers"

    def __str__(self):
        return self.name


class Bill(models.Model):
    id = models.UUIDField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT)
    status = models.TextField(choices=[(name, name) for name in ("open", "closing", "closed")])
    number = models.BigIntegerField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "bills"
        ordering = ("-id",)


class Subtotal(models.Model):
    pk = models.CompositePrimaryKey("bill_id", "currency")
    bill = models.ForeignKey(Bill, models.PROTECT, related_name="subtotals")
    currency = models.TextField()
    subtotal = models.DecimalField(max_digits=40, decimal_places=18)

    class Meta:
        managed = False
        db_table = "bill_subtotals"
