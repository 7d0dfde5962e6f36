//! cutover: planned, journalled, proven and undone deployments of docker compose projects.
