"""Human evaluation: people judge the phrases of several runs without knowing whose they are."""
