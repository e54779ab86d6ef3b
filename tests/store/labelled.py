"""A small document and log texts about it, with the key a person would name for each."""

DOCUMENT = {
    "model": {
        "name": "claude-sonnet",
        "maxTokens": 4096,
        "temperature": 0.2,
        "fallbackModels": ["haiku", "opus"],
    },
    "limits": {"dailyCost": 10.0, "monthlyCost": 100.0},
    "database": {
        "connectionString": "postgresql://localhost/agents",
        "pool_size": 8,
        "backup_schedule": "every night at two o'clock",
    },
    "channels": {
        "telegram": {"bot_token": "from the environment", "allowed_users": ["ada", "grace"]},
        "email": {"smtp_host": "mail.example.org", "sender-address": "agent@example.org"},
    },
    "memory": {
        "userPreferences": "answers in German, short, no emoji",
        "projectSummary": "rewrite the invoice importer in Rust",
    },
    "tools": {
        "shell": {"timeout_seconds": 30, "workingDirectory": "/srv/agent"},
        "web_search": {"provider": "searx", "maxResults": 10},
    },
    "heartbeat": {"interval": "30s", "jobs": ["rotate logs", "measure storage"]},
}

TEXTS = {
    "llm:error agent output cut off: max tokens reached (4096)": "model.maxTokens",
    "model haiku took over after sonnet was overloaded": "model.fallbackModels",
    "dispatch refused: daily cost limit of $10 reached for ada": "limits.dailyCost",
    "this month's spending has passed 80 dollars": "limits.monthlyCost",
    "could not connect to postgresql on localhost: connection refused": (
        "database.connectionString"
    ),
    "all 8 connections of the pool are taken, waiting": "database.pool_size",
    "backup of the database finished in 812 ms": "database.backup_schedule",
    "telegram: message of a user who is not allowed: mallory": "channels.telegram.allowed_users",
    "TelegramError: Unauthorized, bot token is not valid": "channels.telegram.bot_token",
    "smtp host did not answer, mail not sent": "channels.email.smtp_host",
    "the user asked to be answered in German from now on": "memory.userPreferences",
    "commit: the importer for invoices parses dates, in Rust": "memory.projectSummary",
    "command killed: shell timed out after 30 seconds": "tools.shell.timeout_seconds",
    "search on the web gave no results from searx": "tools.web_search.provider",
    "logs rotated, storage measured, next beat in 30s": "heartbeat.jobs",
}
