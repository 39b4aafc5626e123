"""The deployment room: export, benchmark, serve, shadow. Nothing stands here yet."""
