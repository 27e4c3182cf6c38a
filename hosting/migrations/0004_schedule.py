from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0003_plain_unique_key"),
    ]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("task_path", models.CharField(max_length=512, verbose_name="task")),
                ("cron", models.CharField(blank=True, default="", max_length=255)),
                ("interval", models.FloatField(blank=True, null=True)),
                ("time_zone", models.CharField(blank=True, default="", max_length=64)),
                ("args", models.TextField(default="[]", verbose_name="positional arguments")),
                ("kwargs", models.TextField(default="{}", verbose_name="keyword arguments")),
                (
                    "queue_name",
                    models.CharField(blank=True, default="", max_length=128, verbose_name="queue"),
                ),
                ("priority", models.SmallIntegerField(blank=True, null=True)),
                (
                    "missed",
                    models.CharField(
                        choices=[
                            ("skip", "skip them"),
                            ("once", "run once for all of them"),
                            ("all", "run every one"),
                        ],
                        default="once",
                        max_length=8,
                    ),
                ),
                ("is_paused", models.BooleanField(default=False, verbose_name="paused")),
                (
                    "is_declared",
                    models.BooleanField(
                        default=False, editable=False, verbose_name="from settings"
                    ),
                ),
                ("since", models.DateTimeField(db_default=Now(), editable=False)),
                ("handled_until", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="ScheduleSlot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("schedule", models.CharField(max_length=64)),
                ("slot", models.DateTimeField()),
                ("job_id", models.UUIDField()),
                ("enqueued_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("schedule", "slot"), name="hosting_slot_once")
                ],
            },
        ),
    ]
