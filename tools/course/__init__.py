"""What is made of the course besides its site: slides, student copies, checks, the stick."""
