from django.urls import path

from messages_app import views

urlpatterns = [
    path("", views.index, name="index"),
    path("state", views.state, name="state"),
]
