"""What the Trainer lacks: arguments, loss, order, generation in evaluation."""
