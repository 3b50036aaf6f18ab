"""What the files of the knowledge say beside triples: stored queries, and the questions that they answer."""
