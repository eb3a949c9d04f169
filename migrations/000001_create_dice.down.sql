DROP VIEW dice;
DROP TABLE die_specifications;
