"""What was seen and what the model said: parts, images, intake, scoring, registry, routing."""
