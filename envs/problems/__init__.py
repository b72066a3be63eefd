"""The named problems: the table, the grammar of their names, rules from attributes."""
