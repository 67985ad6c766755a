/** For `startDovecot`: room for some hundred sessions at once, each process of which is used again. */
export const ROOMY = `
  default_client_limit = 4000
  default_process_limit = 600
  service pop3-login {
    client_limit = 2000
    process_min_avail = 2
  }
  service pop3 {
    process_limit = 600
    process_min_avail = 8
    service_count = 1000
  }
  service auth {
    client_limit = 6000
  }
  service anvil {
    client_limit = 6000
  }
`;
