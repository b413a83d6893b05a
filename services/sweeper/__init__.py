"""The sweeper: finds the servers that went silent, and tells their silence from our own deafness."""
