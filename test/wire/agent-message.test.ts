import { describe, expect, test } from 'vitest';
import { fieldMetrics, numberOfField } from '../../src/wire/agent-message.ts';

describe('fields of messages of plain agents', () => {
  test.each([
    [6, 6],
    ['1', 1],
    [' -14.6e1 ', -146],
    ['.5', 0.5],
    ['', null],
    ['0x10', null],
    ['12abc', null],
    ['Infinity', null],
    [1e301, null],
    ['1'.repeat(65), null],
    [true, null],
    [null, null],
    [[1], null],
    [{ a: 1 }, null],
  ])('%j is %j', (given, expected) => expect(numberOfField(given)).toBe(expected));

  const metricOf = fieldMetrics(['A_Pressed', 'taps total', 'x_total']);

  test.each([
    ['cpu', { metric: 'cpu', kind: 'gauge', labels: {} }],
    ['CPU_Utilization', { metric: 'CPU_Utilization', kind: 'gauge', labels: {} }],
    [
      'THE PERCENTAGE OF CPU USAGE',
      {
        metric: 'THE_PERCENTAGE_OF_CPU_USAGE',
        kind: 'gauge',
        labels: { field: 'THE PERCENTAGE OF CPU USAGE' },
      },
    ],
    ['ram_total', { metric: 'ram_total', kind: 'gauge', labels: {} }],
    ['A_Pressed', { metric: 'A_Pressed_total', kind: 'counter', labels: {} }],
    ['x_total', { metric: 'x_total', kind: 'counter', labels: {} }],
    ['taps total', { metric: 'taps_total', kind: 'counter', labels: { field: 'taps total' } }],
    // What a counter's family or sample is called already.
    ['A_Pressed_total', { metric: 'agent_A_Pressed_total', kind: 'gauge', labels: { field: 'A_Pressed_total' } }],
    ['x', { metric: 'agent_x', kind: 'gauge', labels: { field: 'x' } }],
    // Names of this server.
    ['system_cpu', { metric: 'agent_system_cpu', kind: 'gauge', labels: { field: 'system_cpu' } }],
    ['clients_connected', { metric: 'agent_clients_connected', kind: 'gauge', labels: { field: 'clients_connected' } }],
    ['amberwatch_alarm', { metric: 'agent_amberwatch_alarm', kind: 'gauge', labels: { field: 'amberwatch_alarm' } }],
    ['up', { metric: 'agent_up', kind: 'gauge', labels: { field: 'up' } }],
    ['1st', { metric: '_1st', kind: 'gauge', labels: { field: '1st' } }],
    ['', { metric: '_', kind: 'gauge', labels: { field: '' } }],
    ['温度', { metric: '__', kind: 'gauge', labels: { field: '温度' } }],
    ['a:b', { metric: 'a_b', kind: 'gauge', labels: { field: 'a:b' } }],
  ])('%j is named as Prometheus can take it', (field, expected) => expect(metricOf(field)).toEqual(expected));
});
