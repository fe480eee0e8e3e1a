"""One page to hand out: question, answer, table, pictures, what the statistics mean, where the numbers come from."""
