"""What the tests of AccountDisable stand on: a Samba domain controller and a Keycloak that remembers."""
