"""From state to people: GraphQL, exports, statements and the explorer page."""
