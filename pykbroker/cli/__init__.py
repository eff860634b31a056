"""The command line: main (which command), serve (the broker), wire (frames for people and scripts). Imported lazily."""
