"""What fabrics claim about links and routes, held against what packets show."""
