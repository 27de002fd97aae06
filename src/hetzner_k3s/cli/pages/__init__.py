"""Pages of HTML that are one file each: nothing is loaded, nothing runs, and every text is escaped."""
