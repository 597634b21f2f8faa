"""What the project's figures come from: each module measures one thing and prints a JSON document of what came out."""
