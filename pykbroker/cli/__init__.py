"""The command line, imported lazily: main (which command), serve (the broker), wire (frames for people and scripts),
dump_log and check_dir (what lies in data directories)."""
