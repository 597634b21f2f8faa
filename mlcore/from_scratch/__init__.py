"""The chapter's formulas, written out with their gradients on tensors with leading stack dimensions: the engine."""
