"""The operator's desk: a page in the browser to point, watch and correct; live, and over recordings."""
