from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0004_schedule"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="lease",
            constraint=models.UniqueConstraint(fields=("name", "token"), name="hosting_lease_key"),
        ),
    ]
