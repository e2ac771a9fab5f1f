import { describe, expect, test } from 'vitest';
import { mayReach } from '../../src/platform/public-address.ts';

/** As a webhook's URL would be connected to. */
const addressOf = (host: string) => new URL(`http://${host}/`).hostname.replace(/^\[|\]$/g, '');

describe('where a webhook may go', () => {
  test.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0',
    '0.0.0.0',
    '10.0.0.1',
    '10.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '0xa9fea9fe',
    '2852039166',
    '192.0.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '[::]',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:169.254.169.254]',
    '[::ffff:a9fe:a9fe]',
    '[::ffff:10.0.0.1]',
    '[::127.0.0.1]',
    '[fe80::1]',
    '[fc00::1]',
    '[fd00:ec2::254]',
    '[ff02::1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b::a9fe:a9fe]',
    '[2002:7f00:1::]',
    '[2002:a9fe:a9fe::]',
    '[2001::1]',
    '[2001:db8::1]',
    '[100::1]',
    '192.0.2.1',
  ])('not to %s', (host) => expect(mayReach(addressOf(host), [])).toBe(false));

  test.each(['8.8.8.8', '1.1.1.1', '[2606:4700:4700::1111]'])('to %s', (host) =>
    expect(mayReach(addressOf(host), [])).toBe(true),
  );

  test('to what is listed, and nothing beside it', () => {
    const allowed = [{ address: '10.1.0.0', bits: 16 }];
    expect([
      mayReach('10.1.2.3', allowed),
      mayReach('::ffff:10.1.2.3', allowed),
      mayReach('10.2.0.1', allowed),
    ]).toEqual([true, true, false]);
  });
});
