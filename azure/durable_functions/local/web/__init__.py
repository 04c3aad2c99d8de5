"""What was asked, what is the answer? HTTP statuses live here, SQL does not."""
