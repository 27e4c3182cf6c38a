from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AddedTask",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "queue",
                    models.CharField(
                        choices=[("database", "database"), ("memory", "memory")], max_length=10
                    ),
                ),
                ("steps", models.PositiveSmallIntegerField()),
                ("delay", models.FloatField(help_text="Seconds that a step takes.")),
                (
                    "step",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How many steps are written."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("running", "running"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                            ("lost", "lost with its process"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("host_name", models.CharField(blank=True, max_length=255)),
                ("pid", models.PositiveIntegerField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["state", "created_at"], name="added_task_unfinished"),
                    models.Index(fields=["finished_at"], name="added_task_finished"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("text", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("task_id", models.CharField(max_length=64)),
                ("step", models.PositiveSmallIntegerField()),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("task_id", "step"), name="message_once_per_step"
                    )
                ],
            },
        ),
    ]
