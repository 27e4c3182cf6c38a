from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hosting", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("token", models.BigIntegerField(default=0)),
                ("holder", models.CharField(blank=True, default="", max_length=80)),
                ("held_since", models.DateTimeField(blank=True, null=True)),
                ("held_until", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name="hostprocess",
            name="is_standing_by",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
