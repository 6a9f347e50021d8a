"""The admin's addresses, and somebody who may use it."""

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls), path("healthz", lambda _request: HttpResponse("ok"))]


def signed_in(get_response):
    def middleware(request):
        request.user = User(id=1, username="operator", is_active=True, is_staff=True, is_superuser=True)
        return get_response(request)

    return middleware
