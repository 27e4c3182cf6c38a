from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0007_log_lines"),
    ]

    operations = [
        migrations.AddField(
            model_name="hostprocess",
            name="inboxes",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
    ]
