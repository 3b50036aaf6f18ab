"""What everything stands on: errors, settings, logs, processes with limits, IRIs, texts, files."""
