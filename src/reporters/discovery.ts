/** A server somebody may want to test, as the list for another platform names it. */
export interface Discovered {
  /** One of a kind. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  readonly connectionType: string;
  /** The site of Active Directory; null where no directory was asked. */
  readonly site: string | null;
}

/** A list of servers in the form a platform takes for discovery. */
export type Discovery = (servers: readonly Discovered[]) => string;

/** By the values of --discover. */
export const DISCOVERIES: Readonly<Record<string, Discovery>> = {
  // A file for --targets.
  targets: (servers) =>
    servers
      .map(({ host, port, connectionType }) => {
        const values = {
          'client-access-server': host,
          'port-client-access-server': port,
          'connection-type': connectionType,
        };
        return `- ${JSON.stringify(values)}`;
      })
      .join('\n'),
  // https://www.zabbix.com/documentation/6.0/en/manual/discovery/low_level_discovery/custom_rules
  zabbix: (servers) =>
    JSON.stringify(
      servers.map(({ label, host, port, connectionType, site }) => ({
        '{#LABEL}': label,
        '{#SERVER}': host,
        '{#PORT}': String(port),
        '{#TYPE}': connectionType,
        '{#SITE}': site ?? '',
      })),
    ),
  // https://prometheus.io/docs/prometheus/latest/http_sd/
  prometheus: (servers) =>
    JSON.stringify(
      servers.map(({ host, port, connectionType, site }) => ({
        targets: [`${host.includes(':') ? `[${host}]` : host}:${port}`],
        labels: { connection_type: connectionType, ...(site === null ? {} : { site }) },
      })),
      null,
      2,
    ),
  // Hosts with a service each, by the rules of plugins/icinga2/services.conf.
  icinga2: (servers) =>
    servers
      .map(
        ({ label, host, port, connectionType }) => `object Host ${quoted(label)} {
  check_command = "dummy"
  vars.pop3["POP3"] = {
    pop3_server = ${quoted(host)}
    pop3_port = ${port}
    pop3_connection_type = "${connectionType}"
    pop3_light_mode = true
  }
}`,
      )
      .join('\n'),
  // Hosts with a service each, by the commands of plugins/nagios/check_pop3.cfg. Debian's generic-host lacks the rest.
  nagios: (servers) =>
    servers
      .map(
        ({ label, host, port, connectionType }) => `define host {
  use                 generic-host
  host_name           ${plain(label)}
  address             ${host}
  check_command       check-host-alive
  max_check_attempts  3
  contact_groups      admins
}
define service {
  use                  generic-service
  host_name            ${plain(label)}
  service_description  POP3
  check_command        check_pop3!-p ${port} --connection-type ${connectionType}
}`,
      )
      .join('\n'),
};

/** A string of Icinga's language. */
const quoted = (text: string): string =>
  `"${text.replace(UNPRINTED, '_').replace(/[\\"]/g, '\\$&').replace(/\$/g, '$$$$')}"`;

/** What Nagios takes for no name of an object (illegal_object_name_chars), and `;`, which begins a comment. */
const plain = (text: string): string => text.replace(UNPRINTED, '_').replace(/[`~!$%^&*|'"<>?,()=;]/g, '_');

/** Neither language has a name of more than one line. */
const UNPRINTED = /[\p{C}\p{Zl}\p{Zp}]/gu;
