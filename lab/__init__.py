"""What happens before and after a session: recordings prepared, sessions reviewed, models evaluated on real people."""
