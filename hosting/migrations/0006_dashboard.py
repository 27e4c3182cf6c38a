import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0005_lease_key"),
    ]

    operations = [
        migrations.AddField(
            model_name="hostprocess",
            name="heeds_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="PausedQueue",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("backend", models.CharField(max_length=128)),
                ("name", models.CharField(max_length=128)),
                (
                    "paused_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name": "queue",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ServiceCommand",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("process", models.CharField(db_index=True, max_length=64)),
                ("service", models.CharField(max_length=64)),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("stop", "Stop"),
                            ("start", "Start"),
                            ("restart", "Restart"),
                        ],
                        max_length=8,
                    ),
                ),
                ("requested_by", models.CharField(blank=True, default="", max_length=150)),
                (
                    "requested_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.TextField(blank=True, default="")),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="jobresult",
            index=models.Index(
                condition=models.Q(("status", "FAILED")),
                fields=["status", "id"],
                name="hosting_result_failed",
            ),
        ),
        migrations.AddConstraint(
            model_name="pausedqueue",
            constraint=models.UniqueConstraint(
                fields=("backend", "name"), name="hosting_queue_paused_once"
            ),
        ),
    ]
