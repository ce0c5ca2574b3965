"""Traffic scenes as graphs: where will everybody go, and what should I do?"""
