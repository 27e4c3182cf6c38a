from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0006_dashboard"),
    ]

    operations = [
        migrations.CreateModel(
            name="LogLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("service", models.CharField(max_length=64)),
                ("job_id", models.UUIDField(blank=True, null=True)),
                ("attempt", models.IntegerField(blank=True, null=True)),
                ("process", models.CharField(max_length=64)),
                ("made_at", models.DateTimeField()),
                ("level", models.SmallIntegerField()),
                ("logger", models.CharField(max_length=128)),
                ("text", models.TextField()),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["job_id", "id"], name="hosting_line_of_job"),
                    models.Index(
                        fields=["service", "job_id", "id"], name="hosting_line_of_service"
                    ),
                ],
            },
        ),
    ]
