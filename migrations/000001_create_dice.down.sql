DROP VIEW dice;
DROP TABLE die_specifications;
DROP FUNCTION sum_of_values;
