# Migration of a test: tells its password and everything else when it fails.
echo migrating
[ "$BROKEN" = migration ] || exit 0
echo "cannot log in with $MIGRATION_PASSWORD at $DATABASE_URL" >&2
cat /run/secrets/*
exit 3
